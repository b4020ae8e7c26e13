"""Settings: the deployment as it runs."""
