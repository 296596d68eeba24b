const res = await fetch('https://rev.polsia.app/v1/pricing', { headers: { 'Authorization': `Bearer ${API_KEY}` }, }); const pricing = await res.json();
