"""Files that somebody names."""

from __future__ import annotations

from exporter.lint import manifest_yaml
from exporter.recording import file as recording
from exporter.simulator import scenario
from exporter.sources import kubernetes_api
from toolkit import site, yamlfile
from toolkit.web import tls
from tools.limits.input import Input, size

FILES = (
    Input(
        "a configuration, policy, objective, web configuration, list of exporters, Alertmanager configuration",
        "the operator",
        f"{size(yamlfile.MAX_BYTES)}, {yamlfile.MAX_DEPTH} levels, {yamlfile.MAX_NODES:,} values with aliases expanded",
        "none: a local file",
        ("toolkit/yamlfile.py",),
        (
            "tests/config/test_yamlfile.py::test_an_alias_bomb_is_refused",
            "tests/config/test_yamlfile.py::test_any_text_is_a_document_or_a_config_error",
            "tests/config/test_yamlfile.py::test_a_file_that_cannot_be_read_is_one_line",
        ),
    ),
    Input(
        "manifests for `lint`",
        "anybody",
        f"{size(manifest_yaml.MAX_BYTES)} a file, {manifest_yaml.MAX_DEPTH} levels; aliases are not expanded",
        "none: a local file",
        ("exporter/lint/manifest_yaml.py",),
        (
            "tests/lint/test_manifests.py::test_aliases_that_expand_without_end_cost_nothing",
            "tests/lint/test_manifests.py::test_what_is_no_yaml_is_refused_with_its_place",
        ),
    ),
    Input(
        "scenarios of the simulator",
        "the operator",
        f"{size(scenario.MOST)}",
        "none: a local file",
        ("exporter/simulator/scenario.py",),
        ("tests/simulator/test_scenario.py::test_a_scenario_has_a_size",),
    ),
    Input(
        "a kubeconfig",
        "the operator",
        f"{size(kubernetes_api._MAX_KUBECONFIG)}",
        "none: a local file; a program that it names for credentials has no limit of ours",
        ("exporter/sources/kubernetes_api.py",),
        ("tests/ownership/test_kubernetes_bounds.py::test_a_kubeconfig_has_a_size",),
    ),
    Input(
        "certificates and keys of the server",
        "the operator",
        f"{size(tls.MAX_PEM)} a file",
        "none: a local file",
        ("toolkit/web/tls.py",),
        ("tests/server/test_webconfig.py::test_a_file_of_certificates_has_a_size",),
    ),
    Input(
        "a file of credentials",
        "the operator",
        f"{site.MOST_CREDENTIALS:,} characters",
        "none: a local file",
        ("toolkit/site.py",),
        ("tests/why/test_fetch.py::test_a_credentials_file_holds_one_user",),
    ),
    Input(
        "a recording that is played back",
        "whoever handed it on",
        f"{size(recording._LONGEST)} a tick, unpacked; ticks are read one at a time",
        "none: a local file",
        ("exporter/recording/file.py",),
        (
            "tests/recording/test_recording.py::test_a_line_that_never_ends_is_refused",
            "tests/recording/test_recording.py::test_any_tree_is_read_or_refused",
        ),
    ),
)
