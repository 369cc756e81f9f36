"""How large a script may be, what a run may cost, and what its values may hold."""

from typing import Final

from busbar_fast.reliability.policies.candidates import Candidate, RequestFacts

SOURCE_BYTES: Final = 16 * 1024
BRACKET_DEPTH: Final = 64
NODES: Final = 2000
TREE_DEPTH: Final = 32
COMPREHENSION_DEPTH: Final = 2

DEFAULT_STEPS: Final = 20_000
STEPS_BETWEEN_LOOKS: Final = 256  # at the clock
LONGEST_S: Final = 0.025  # of one run, and of several in a row
ENOUGH_S: Final = 0.020  # of that has to be left for a run to begin
SHARE: Final = 1 / 3  # of the time between runs that they may take in turn
RESERVE_S: Final = 0.0005  # of it, to come to an end
# What a step of one long operation takes at most; such an operation is not begun when it would end too late.
LONG_STEP_S: Final = 5e-8

INT_END: Final = 2**63
TEXT_CHARACTERS: Final = 8192
LIST_ITEMS: Final = 4096
KEY_SCALARS: Final = 8
NUMBER_CHARACTERS: Final = 64  # of a text that is read as a number
MOST_DIGITS: Final = 15  # that a number is rounded to

# What a script finds: its inputs and the fields of each.
REQUEST_FIELDS: Final = RequestFacts._fields
CANDIDATE_FIELDS: Final = Candidate._fields
CONTEXT_FIELDS: Final = ("pool", "budget_remaining")
REQUEST, CANDIDATES, CONTEXT = INPUTS = ("req", "candidates", "ctx")
FIELDS_OF: Final = {REQUEST: REQUEST_FIELDS, CONTEXT: CONTEXT_FIELDS}
FIELDS: Final = frozenset((*REQUEST_FIELDS, *CANDIDATE_FIELDS, *CONTEXT_FIELDS))
ORDER: Final = "order"  # the variable that is the result of a script without an expression statement
