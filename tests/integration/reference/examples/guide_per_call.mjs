const response = await fetch('https://rev.polsia.app/v1/meter', {
method: 'POST',
headers: {
'Authorization': 'Bearer YOUR_API_KEY',
'Content-Type': 'application/json',
},
body: JSON.stringify({
agent_id: 'classify-agent',
action: 'ticket.classified',
tokens_input: 600, // Still tracked for analytics
tokens_output: 50, // but price is per-call flat rate
metadata: { ticket_id: 'TK-4821' }
}),
});
const { price_charged } = await response.json();
