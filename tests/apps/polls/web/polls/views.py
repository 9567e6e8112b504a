from django.db.models import F
from django.http import HttpResponse, HttpResponseRedirect
from django.views.decorators.csrf import csrf_exempt

from .models import Question


def index(request):
    return HttpResponse("".join("<li>%s %d</li>" % (q.text, q.votes) for q in Question.objects.all()))


@csrf_exempt
def vote(request, question_id):
    Question.objects.filter(pk=question_id).update(votes=F("votes") + 1)
    return HttpResponseRedirect("/")
