from model_folders import copied, model, photos, saved, tiny

__all__ = ["copied", "model", "photos", "saved", "tiny"]
