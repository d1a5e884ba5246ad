"""What the network looks at: class activation maps, filters, activations."""
