from measured_runs import measured

__all__ = ["measured"]
