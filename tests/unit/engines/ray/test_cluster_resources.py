"""What people are told of a request that no node can meet."""

from __future__ import annotations

from marin_build.engines.ray.cluster_resources import cluster_words, why_it_waits

SMALL = {"CPU": 8.0, "memory": 16.0 * (1 << 30), "node:10.0.0.1": 1.0, "object_store_memory": 1e9}
BIG = {"CPU": 64.0, "GPU": 4.0, "accelerator_type:H100": 1.0}


def test_a_request_that_one_node_can_meet_waits_its_turn() -> None:
    """Else a busy cluster looks like one that lacks something."""
    assert why_it_waits({"CPU": 8, "memory": 1 << 34}, [BIG, SMALL]) == ""
    assert why_it_waits({"GPU": 4, "accelerator_type:H100": 0.001}, [BIG]) == ""


def test_what_no_node_has_is_named_with_what_there_is() -> None:
    """Else a person who waits does not know whether to wait."""
    assert why_it_waits({"CPU": 1, "GPU": 8}, [SMALL, BIG, SMALL]) == (
        "no node has 8 GPU now; the cluster has 2 nodes with 8 CPU, 16Gi memory; "
        "1 node with 64 CPU, 4 GPU, 1 accelerator_type:H100"
    )
    # Each of them is there, but not on one node.
    assert why_it_waits({"GPU": 1, "memory": 1 << 30}, [SMALL, BIG]).startswith(
        "no node has 1 GPU, 1Gi memory now"
    )
    assert why_it_waits({"CPU": 1}, []) == "no node has 1 CPU now; the cluster has no nodes"


def test_large_clusters_are_told_in_one_line() -> None:
    """Else the line of a step is as long as its cluster."""
    nodes = [{"CPU": float(n), **{f"r{k}\n": 1.0 for k in range(99)}} for n in range(1, 50)]
    told = cluster_words(nodes)
    assert told.endswith("; 46 more kinds of nodes")
    assert "92 more" in told
    assert "\n" not in told
