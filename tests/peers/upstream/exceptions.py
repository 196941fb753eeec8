"""Tests of dcnum 0.31.0 that dcread contradicts by decision, or that cannot be run."""

EXCEPTIONS = {
    "test_feat_background_bg_sparsemed.py::test_median_sparsemed_internal_basin": (
        "time is joined, so that the test cannot add a 'time' of its own"
    ),
    "test_read_hdf5.py::test_image_cache": (
        "image caches let go of what was used longest ago, not of what is oldest"
    ),
    "test_read_hdf5_basins.py::test_basin_no_inception": (
        "basins of basins are followed, within the bounds of the policy"
    ),
}
"""They have to fail: one that passes is no exception any more."""

NEED_TORCH = {
    "test_logic_job.py::test_validate_invalid_model",
    "test_logic_universal_worker.py::"
    "test_universal_worker_get_worker_dedications_torchuni_cpu",
    "test_logic_universal_worker.py::"
    "test_universal_worker_get_worker_dedications_torchuni_gpu",
}
"""Tests of segmentation that are skipped where PyTorch is not installed."""
