const res = await fetch('https://rev.polsia.app/v1/usage?period=7d', { headers: { 'Authorization': `Bearer ${API_KEY}` }, }); const usage = await res.json();
