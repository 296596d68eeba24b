const { outcome_id } = await fetch('https://rev.polsia.app/v1/meter', {
method: 'POST',
headers: {
'Authorization': 'Bearer YOUR_API_KEY',
'Content-Type': 'application/json',
},
body: JSON.stringify({
agent_id: 'outreach-agent-v2',
action: 'email.sent',
tokens_input: 1400,
tokens_output: 380,
outcome: 'pending', // Charged base fee only
expires_at: new Date(Date.now() + 7 * 86400000).toISOString(),
metadata: { prospect: 'vp-eng@acme.com' }
}),
}).then(r => r.json());
