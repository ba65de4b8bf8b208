"""All tasks, by name."""

from export.classifier_tasks import CIFAR10, MNIST
from export.membrane_task import MEMBRANES
from export.recogniser_task import RECOGNISER
from export.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (MNIST, CIFAR10, RECOGNISER, MEMBRANES)}
