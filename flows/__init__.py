"""The composition root: command line, Prefect flows and the wiring of the stages. The only home of Prefect."""
