curl -X DELETE https://rev.polsia.app/api/admin/api-keys/1
