curl https://rev.polsia.app/api/admin/pricing
