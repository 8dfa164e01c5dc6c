"""Rules for the ruler: the same verdicts as the evaluator's, as recording and alerting rules in plain PromQL.

One rule set per objective, grouped by labels, whatever the number of partitions:

    slices    each minute: which partitions had a valid slice, which a bad one (sparse: only what holds is recorded)
    hourly    each hour: the slices of the hour, by partition, by namespace and by GPU
    budget    each five minutes: budgets from the hourly sums
    rollups   each minute: which partitions, GPUs and nodes burn their budget too fast
    alerts    what a person is told; texts has the words, routing Alertmanager's configuration

`document` puts them together and writes them; `model` has the types and `promql` the small change.
"""
