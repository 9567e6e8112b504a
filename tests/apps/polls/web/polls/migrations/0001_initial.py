from django.db import migrations, models


def first(apps, schema_editor):
    apps.get_model("polls", "Question").objects.create(text="What is up?")


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Question",
            [("id", models.BigAutoField(primary_key=True)), ("text", models.CharField(max_length=200)), ("votes", models.IntegerField(default=0))],
        ),
        migrations.RunPython(first),
    ]
