const response = await fetch('https://rev.polsia.app/v1/meter', {
method: 'POST',
headers: {
'Authorization': 'Bearer YOUR_API_KEY',
'Content-Type': 'application/json',
},
body: JSON.stringify({
agent_id: 'outreach-agent-v2',
action: 'email.sent',
tokens_input: 1200,
tokens_output: 340,
outcome: 'success',
metadata: {
recipient: 'prospect@company.com',
campaign: 'q2-enterprise'
}
}),
});
const { price_charged, outcome_id } = await response.json();
console.log(`Charged: ${price_charged}`);
