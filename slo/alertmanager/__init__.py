"""From alerts that fire to people who are told: Alertmanager's clients' duties, without a Prometheus.

    answer      what an alert says beyond its name: promised, got, cause, who
    figures     that, worked out of the contract's counters; answers fetches them from a store
    texts       an answer in words: the annotations
    storm       which alerts are shown when there are too many
    reconcile   what is known of alerts, against what fires now
    payload     the JSON that Alertmanager's API v2 takes
    batches     a batch that is refused for one alert's sake
    peer        one Alertmanager, and one request to it; lane has a thread for each
    journal     what is known of alerts, on disk
    sender      all of it, once a round

Alertmanager's behaviour is that of 0.25, read in its source and held by tests on the program itself.
"""
