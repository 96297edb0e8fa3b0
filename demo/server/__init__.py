"""What all visitors share: shelves, backbones, stores, turns and long work. Knows no gradio."""
