"""Names of published classes of whole models and of their blocks, whatever is inside: the parameters tell which."""

from specs.naming import names

MODEL_CLASSES = names(
    "gpt2 gpt gptmodel gpt2model lmheadmodel gptlanguagemodel languagemodel transformer transformerlm "
    "transformerlanguagemodel gptlm demotransformer decoderonlytransformer minigpt nanogpt transformermodel model "
    "hookedtransformer"
)
BLOCK_CLASSES = names(
    "block transformerblock decoderblock gptblock decoderlayer transformerlayer layer transformerdecoderblock "
    "residualblock"
)
