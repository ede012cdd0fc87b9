"""What an operator needs: access, limits, health, logs."""
