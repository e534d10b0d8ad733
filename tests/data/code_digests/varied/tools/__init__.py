from .text import clean as clean
