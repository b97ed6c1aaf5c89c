"""One file per question. Each has `measure(plan)`, which leaves figures and tables in the report."""
