const response = await fetch('https://rev.polsia.app/v1/meter', {
method: 'POST',
headers: {
'Authorization': 'Bearer YOUR_API_KEY',
'Content-Type': 'application/json',
},
body: JSON.stringify({
agent_id: 'research-agent-v1',
action: 'research.complete',
tokens_input: 3200,
tokens_output: 1100,
// No outcome field — pure token-based
metadata: { query: 'competitor analysis Q2' }
}),
});
const { price_charged } = await response.json();
