curl https://rev.polsia.app/v1/pricing \
-H "Authorization: Bearer rg_your_api_key"
