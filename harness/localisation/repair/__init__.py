"""Small changes of the lines that an experiment marked. Which of them mends the component is for others to prove."""
