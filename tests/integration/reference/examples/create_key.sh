curl -X POST https://rev.polsia.app/api/admin/api-keys \ -H "Content-Type: application/json" \ -d '{"customer_id": "acme-corp", "customer_name": "Acme Corp"}'
