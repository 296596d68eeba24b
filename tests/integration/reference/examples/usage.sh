curl https://rev.polsia.app/v1/usage?period=7d \
-H "Authorization: Bearer rg_your_api_key"
