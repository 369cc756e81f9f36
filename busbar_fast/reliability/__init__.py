"""Which lane a request goes to, and what becomes of lanes that fail. Nothing here knows sockets, dialects or clocks.

A `LaneState` for each lane and a `Cell` for each pool it is in live as long as the process; a `Pool` of `PoolMember`s
is made with each configuration. A request is one `Attempts`, and goes like this:

    attempts = Attempts(pool, now(), pools=pools, ranked=..., sticky=...)
    while True:
        attempt = attempts.maybe_attempt(now())
        if attempt is None and attempts.must_wait:
            with Place(attempts, wake, now, lookout) as place:
                ...  # until woken, no longer than attempts.patience_s(now()), after that give_up_waiting()
                attempt = place.take()
            if attempt is None:
                continue
        if attempt is None:
            break  # attempts.ending says why, attempts.retry_after_s(now()) when to come back
        with attempt:
            ...  # send, and report by one of commit, fail, client_fault, context_rejected, hard_down
"""
