curl https://rev.polsia.app/api/admin/api-keys
