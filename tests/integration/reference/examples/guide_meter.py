import requests

response = requests.post(
    "https://rev.polsia.app/v1/meter",
    headers={
        "Authorization": "Bearer YOUR_API_KEY",
        "Content-Type": "application/json",
    },
    json={
        "agent_id": "outreach-agent-v2",
        "action": "email.sent",
        "tokens_input": 1200,
        "tokens_output": 340,
        "outcome": "success",
        "metadata": {"recipient": "prospect@company.com", "campaign": "q2-enterprise"},
    },
)
data = response.json()
print(f"Charged: ${data['price_charged']}")
