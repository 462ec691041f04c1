"""The beam of the motion channels, cleared and equalised by a network that has heard objects."""
