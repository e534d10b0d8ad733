"""A report on a pipeline: one page for people who have neither its code nor its store. Pure.

facts      what a report is made of: targets, how each was built, what lies in its output
cleaning   takes secrets, and what moves a cursor, out of all texts of the facts
summary    the sentence at the top, and the facts under it
rows       the tables: the plan, durations, runs, code, environment
contents   what a step returned, and its files, as people read them
page       from facts to the page: the entry point
"""
