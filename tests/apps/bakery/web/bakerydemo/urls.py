from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from PIL import Image


@csrf_exempt
def upload(request):
    if request.method == "POST":
        name = default_storage.save("original_images/" + request.FILES["image"].name, request.FILES["image"])
        return HttpResponse("%dx%d %s\n" % (*Image.open(default_storage.open(name)).size, default_storage.url(name)))
    return HttpResponse("bakery")


urlpatterns = [path("", upload)]
