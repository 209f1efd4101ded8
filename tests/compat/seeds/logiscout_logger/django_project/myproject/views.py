from types import SimpleNamespace

from django.http import JsonResponse

from millpond.compat.logiscout_logger import get_logger

logger = get_logger(__name__)


def my_view(request):
    # Stands for what the authentication of Django does.
    request.user = SimpleNamespace(id=7)
    logger.info("Processing request", user_id=request.user.id)
    return JsonResponse({"status": "ok"})
