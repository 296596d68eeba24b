// Step 2: Three days later, prospect replies
await fetch(`https://rev.polsia.app/v1/outcomes/${outcome_id}/resolve`, {
method: 'POST',
headers: {
'Authorization': 'Bearer YOUR_API_KEY',
'Content-Type': 'application/json',
},
body: JSON.stringify({
outcome: 'success',
metadata: { reply_type: 'positive', meeting_booked: true }
}),
});
