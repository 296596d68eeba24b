"""The pages of Rev and the dashboard's data, served by `rev web`.

How a page is added, say /customers:

1. Query: a file in warehouse/sql/queries, its row in warehouse/dashboard_rows.py, its read in
   warehouse/dashboard.py (sums) or warehouse/activity.py (single events and outcomes, one agent or action). Test
   the SQL against plain Python in tests/integration/web/test_dashboard_reads.py or test_activity_reads.py.
   What is not in ClickHouse (prices, keys, webhooks) is asked of the gateway: web/gateway_api.py.
2. View: web/views/customers_view.py turns rows into what the page shows. Pure: money is an integer of pico-cents
   and times are ms until a template formats them (web/formats.py). Test it in tests/unit/web.
3. Page: web/pages/customers_page.py has ``routes(context)``: a path, who may see it (web/routes.py) and a handler
   that reads, makes the view and renders. Add it to web/application.py, and to web/navigation.py if it has a place
   in the side navigation. Sessions, CSRF and security headers come by themselves (web/visits.py).
4. Template: web/templates/customers.html extends app.html and is made of the macros in components.html. Its styles
   are components in web/static/rev.css; a page has none of its own, and no inline script or style.
5. Test it on the running stack in tests/integration/web; tests/integration/web/test_pages_in_a_browser.py looks at
   every page of its list at both widths and in both colour schemes.
"""
