"""Fine-tune: what a recipe drops learns again, live, beside LoRA, CoOp, LoCoOp and NPOS."""
