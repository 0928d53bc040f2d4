"""The tests of scikit-learn that its names in this library do not pass, each with its reason."""

PRIVATE = "it calls a private method of scikit-learn's class, or counts calls of a private function"
RELOCATED = (
    "only n_iter_ differs, by one: an empty cluster is moved in a step of its own, which is in the history, "
    "where scikit-learn moves it within an iteration"
)

EXPLAINED = {
    "test_gaussian_mixture::test_gaussian_mixture_precisions_init[": PRIVATE + " (_set_parameters)",
    "test_gaussian_mixture::test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters[": PRIVATE
    + " (_estimate_gaussian_parameters)",
    "test_gaussian_mixture::test_check_weights": "it wants the least weight named as the largest and the largest as "
    "the least in a message: here each has its own name",
    "test_gaussian_mixture::test_gaussian_mixture_precisions_init_diag": "it wants equal numbers of steps "
    "from a start whose variances are larger by reg_covar, which scikit-learn adds to its own starts and this library "
    "does not",
    "test_k_means::test_sample_weight_init[": PRIVATE + " (_init_centroids)",
    "test_k_means::test_sample_weight_zero[": PRIVATE + " (_init_centroids)",
    "test_k_means::test_kmeans_relocated_clusters[": RELOCATED,
    "test_k_means::test_relocating_with_duplicates[": RELOCATED,
}
"""Reasons by what the names of the tests begin with."""

EARLIER = {
    "test_gaussian_mixture::test_regularisation": "the words of the error are those of scikit-learn 1.9",
}
"""Reasons that hold for earlier versions of scikit-learn alone."""


def reason(test: str) -> str | None:
    """Why a test is not passed, or None where nothing explains it."""
    return next((why for begin, why in (EXPLAINED | EARLIER).items() if test.startswith(begin)), None)
