curl -X POST https://rev.polsia.app/v1/meter \
-H "Authorization: Bearer YOUR_API_KEY" \
-H "Content-Type: application/json" \
-d '{
"agent_id": "outreach-agent-v2",
"action": "email.sent",
"tokens_input": 1200,
"tokens_output": 340,
"outcome": "success",
"metadata": {
"recipient": "prospect@company.com",
"campaign": "q2-enterprise"
}
}'
