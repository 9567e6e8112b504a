from django.urls import path
from polls import views

urlpatterns = [path("", views.index), path("polls/<int:question_id>/vote/", views.vote)]
