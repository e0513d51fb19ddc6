"""What callers and files give: checked, and refused in sentences. Knows NumPy, and nothing else of pyrnn."""
