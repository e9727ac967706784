"""Known mistakes in attention over packed documents."""

from harness.core.mistake import KnownMistake
from reference_model.packed_attention import packed_attention

PAST = "past = everywhere.tril()"
SAME = "same = document_ids.unsqueeze(-1) == document_ids.unsqueeze(-2)"
MASK = "mask = past & same"


def _bug(name, sentence, right, wrong, *also, **more):
    return KnownMistake(name, sentence, packed_attention, right, wrong, also=tuple(also), **more)


MISTAKES = (
    _bug("documents_see_each_other", "Positions see all documents before theirs: the mask is only causal. Mask the keys of other documents too.",
         MASK, "mask = past", seen_in=("huggingface/nanoVLM#204", "alex-hh/profam#495", "huggingface/trl#6843")),
    _bug("future_of_the_document_seen", "Positions see the whole of their document, the positions after them included. The mask must be causal too.",
         MASK, "mask = same"),
    _bug("causal_or_same_document", "The two masks are joined by OR. A key must be in the past AND in the same document.",
         MASK, "mask = past | same"),
    _bug("other_documents_only", "The comparison is the wrong way round: positions see the other documents and not their own.",
         SAME, "same = document_ids.unsqueeze(-1) != document_ids.unsqueeze(-2)"),
    _bug("previous_document_seen", "Positions see the document before theirs as well.",
         SAME, "same = (document_ids.unsqueeze(-1) - document_ids.unsqueeze(-2)).abs() <= 1"),
    _bug("boundary_one_too_late", "A document begins one position too late: its first position counts to the document before it.",
         SAME, "moved = torch.cat([document_ids[..., :1], document_ids[..., :-1]], -1)\nsame = moved.unsqueeze(-1) == moved.unsqueeze(-2)"),
    _bug("boundary_one_too_early", "A document begins one position too early: the last position (the end token) counts to the next document.",
         SAME, "moved = torch.cat([document_ids[..., 1:], document_ids[..., -1:]], -1)\nsame = moved.unsqueeze(-1) == moved.unsqueeze(-2)"),
    _bug("own_position_hidden", "A position does not see itself: the first position of a document sees nothing.",
         PAST, "past = everywhere.tril(-1)"),
    _bug("numbers_for_positions", "The numbers of the documents are taken for the places at which they begin.",
         SAME, "places = torch.arange(time, device=q.device)\nsame = (places.unsqueeze(-1) >= document_ids.unsqueeze(-2)) & (places.unsqueeze(-2) >= document_ids.unsqueeze(-1))"),
    _bug("documents_of_the_first_row", "Every row uses the documents of the first row. Each row has its own.",
         SAME, "first = document_ids.reshape(-1, time)[0]\nsame = first.unsqueeze(-1) == first.unsqueeze(-2)"),
    _bug("mask_of_documents_cached", "The mask of the first call is cached and reused for later rows of the same length.",
         MASK, 'mask = packed_attention.__dict__.setdefault((time, document_ids.shape), past & same)'),
)
