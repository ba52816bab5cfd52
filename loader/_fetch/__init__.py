"""Find the datasets of a repository, and fetch or stream their artifacts.

What is recorded   repository, clone, git, git_process, revision, safe_yaml, signatures, checked_out, access
On this machine    copies, places, store, cache_entry, cached_artifact, sparse, partial
On its remote      dvc_config, remote, s3, s3_client, deadline, threads
Fetched            download; with what is here already: older, complete, pieces, hashing
Streamed           stream, read_ahead, by_number, arrivals, units, blocks, ranged
All of it          reference
"""
