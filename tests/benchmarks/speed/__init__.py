"""minicl beside its peers on the same CPU: what training with contrastive losses costs, in time and memory.

A workload is a piece of work with a function for each peer that sets it up and returns `run`; `run()` does it once and
returns numbers that must be the same for all peers. Run it with `make bench`.
"""
