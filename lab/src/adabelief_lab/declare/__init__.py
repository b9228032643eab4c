"""What is compared: studies, workloads, optimizers, search spaces, schedules."""
