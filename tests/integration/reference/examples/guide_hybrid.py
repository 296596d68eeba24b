import requests

# Single API call — Rev applies your pricing tier rules
response = requests.post(
    "https://rev.polsia.app/v1/meter",
    headers={
        "Authorization": "Bearer YOUR_API_KEY",
        "Content-Type": "application/json",
    },
    json={
        "agent_id": "sales-agent-v3",
        "action": "lead.qualified",
        "tokens_input": 2800,
        "tokens_output": 650,
        "outcome": "success",
        "metadata": {"lead_score": 87, "company": "Acme Corp", "deal_size": 45000},
    },
)
data = response.json()
# data['price_charged'] = base_fee + token_fee + outcome_bonus
# data['price_breakdown'] = { base: 0.01, tokens: 0.00035, outcome: 5.00 }
print(f"Total charged: ${data['price_charged']}")
