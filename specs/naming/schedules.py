"""What published training loops call the arguments of a learning rate schedule."""

from __future__ import annotations

from specs.naming import names

STEP = names("it t iter iteration step_num global_step current_step cur_step current_iter")
WARMUP = names("warmup_steps warmup_iters warmup_iterations num_warmup_steps n_warmup_steps n_warmup warm_up warmup_it")
TOTAL = names(
    "total_steps max_steps max_iters total_iters total_iterations num_training_steps lr_decay_iters "
    "training_steps n_steps num_steps cosine_cycle_iters"
)
PEAK = names("max_lr peak_lr lr_max max_learning_rate base_lr learning_rate initial_lr lr")
FLOOR = names("min_lr lr_min final_lr end_lr min_learning_rate")
