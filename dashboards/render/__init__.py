"""Draw dashboards in headless Chromium with Grafana's published components and the real results of their queries.

`page/` is the page (TypeScript, built by Vite) and the driver of the browser; the modules here build it, serve it and run it.
It is for tests and for the pictures of the documents. It is not Grafana: the time series, tables, figures, bar gauges, texts and
frames are `@grafana/ui`'s; the state timeline, the grid and the bar at the top are imitations.
"""
