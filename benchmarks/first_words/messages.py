"""Fifty first messages of newcomers, each with what an answer to it speaks of.

`about` is a regular expression that the answer has to match, in either case. Where a fact was asked
for, it is that fact; where an answer can take many forms, it is a word no answer on topic avoids.
"""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """What a newcomer types, and what the answer is about."""

    text: str
    about: str


_GREETING = (
    r"\b(hello|hi|hey|greetings|welcome|good (morning|day|evening)|help|assist"
    r"|here|brings you|your (day|morning)|how are you)\b"
)
_PRESENT = (
    r"\b(help|assist|here|ready|work(s|ing)?|tests?|testing|hear|listen(ing)?|yes|hello|hi)\b"
)
_ITSELF = (
    r"\b(SmolLM|AI|assistant|language model|chatbot|computer program|virtual"
    r"|I'm (here to|designed|trained)|I am (here to|designed|trained))\b"
)

MESSAGES: tuple[Message, ...] = (
    # Is anybody there?
    Message("test", _PRESENT),
    Message("testing", _PRESENT),
    Message("Test 123", _PRESENT),
    Message("ping", rf"{_PRESENT}|\bpong\b|\bping"),
    Message("hello", _GREETING),
    Message("hi", _GREETING),
    Message("hey", _GREETING),
    Message("Hello!", _GREETING),
    Message("hello?", _GREETING),
    Message("hi there", _GREETING),
    Message("good morning", _GREETING),
    Message("help", r"\b(help|assist|support|question)"),
    Message("are you there?", _PRESENT),
    Message("is this working?", _PRESENT),
    Message("can you hear me?", _PRESENT),
    # Who are you?
    Message("how are you?", r"\b(well|fine|good|great|help|assist|thank)"),
    Message("what's up?", r"\b(help|assist|up|here|hello|hi|hey|thank|doing)\b"),
    Message("who are you?", _ITSELF),
    Message("what are you?", _ITSELF),
    Message("what is your name?", r"\b(SmolLM|my name|assistant|call me)\b"),
    Message("are you a robot?", rf"{_ITSELF}|\b(robot|human)\b"),
    Message("are you human?", rf"{_ITSELF}|\b(robot|human)\b"),
    Message("who made you?", r"\b(Hugging Face|trained|created|developed|made|built|designed)\b"),
    Message("which model are you?", rf"{_ITSELF}|\bmodel\b"),
    Message("what can you do?", r"\b(help|assist|answer|write|explain|provide|I can)\b"),
    Message("how do you work?", rf"{_ITSELF}|\b(trained|data|algorithms?|language|learn\w*)\b"),
    Message("what is this?", rf"{_ITSELF}|\b(help|assist|question|this|conversation)\b"),
    Message("my name is Ann", rf"\bAnn\b|\b(nice|pleas\w+|meet)\b|{_GREETING}"),
    # Questions
    Message("what time is it?", r"\b(time|clock|o'clock|hour|minutes?|\d{1,2}:\d\d|[ap]\.?m\.?)\b"),
    Message("what day is it today?", r"\b(day|date|calendar|today|\w+day)\b"),
    Message("what's the weather like?", r"\b(weather|temperature|sunny|rain\w*|warm|cold)\b"),
    Message("where are you?", rf"{_ITSELF}|\b(here|locat(ion|ed)|place|server|internet|I'm in)\b"),
    Message("what is the capital of France?", r"\bParis\b"),
    Message("what is 2+2?", r"\b(4|four)\b"),
    Message("how many days are in a week?", r"\b(7|seven)\b"),
    Message("who wrote Romeo and Juliet?", r"\bShakespeare\b"),
    Message("why is the sky blue?", r"\b(light|scatter\w*|atmosphere|wavelengths?)\b"),
    Message("what is an API?", r"\b(interface|application|software|program\w*)\b"),
    Message("explain gravity in one sentence", r"\b(gravit\w+|force|mass|attract\w*|pull\w*)\b"),
    Message("what is the meaning of life?", r"\b(life|meaning|purpose|live|living)\b"),
    # Do something
    Message("tell me a joke", r"\b(why|what|joke|because|knock|walks? into|laugh\w*|how)\b"),
    Message("tell me a fun fact", r"\b(did you know|fact|the|is|are)\b"),
    Message("write a poem", r"\n"),
    Message("write a haiku about the sea", r"\b(sea|ocean|waves?|water|tide|shore|salt|blue)\b"),
    Message("tell me a short story", r"\b(once|was|were|had)\b"),
    Message("write hello world in python", r"print\s*\(?\s*f?[\"']hello,? world"),
    Message("give me a recipe for pancakes", r"\b(flour|eggs?|milk|batter|pancakes?)\b"),
    Message("thanks", r"\b(welcome|glad|happy|pleasure|help|thank)"),
    Message("bye", r"\b(bye|goodbye|see you|take care|farewell|day|chat|help|later)\b"),
    Message("ok", r"\b(ok|okay|great|help|assist|glad|question|sure|know|good|let's|start)\b"),
)
